-- dialect: sqlite
CREATE TABLE t (
  a INT,
  CONSTRAINT two UNIQUE (a)
);
