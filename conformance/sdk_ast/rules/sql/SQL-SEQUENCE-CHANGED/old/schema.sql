-- dialect: postgres
CREATE SEQUENCE s;
