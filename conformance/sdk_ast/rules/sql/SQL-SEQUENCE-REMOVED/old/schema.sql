-- dialect: postgres
CREATE SEQUENCE s;
CREATE TABLE t (
  a INT
);
