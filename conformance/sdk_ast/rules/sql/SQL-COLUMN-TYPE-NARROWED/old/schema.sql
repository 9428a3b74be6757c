-- dialect: postgres
CREATE TABLE t (
  a VARCHAR(10)
);
