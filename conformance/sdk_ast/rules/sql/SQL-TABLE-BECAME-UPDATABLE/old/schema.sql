-- dialect: postgres
CREATE TABLE t (
  a INT
);
