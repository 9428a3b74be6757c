-- dialect: postgres
CREATE SEQUENCE s INCREMENT BY 2;
