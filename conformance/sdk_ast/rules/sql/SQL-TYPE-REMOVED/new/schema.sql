-- dialect: postgres
CREATE TABLE t (
  a TEXT
);
