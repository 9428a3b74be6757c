-- dialect: sqlite
CREATE TABLE t (
  b INT
);
