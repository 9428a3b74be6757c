-- dialect: postgres
CREATE TABLE t (
  a BIGINT
);
