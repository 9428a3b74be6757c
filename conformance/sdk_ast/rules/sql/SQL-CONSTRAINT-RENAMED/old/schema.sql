-- dialect: sqlite
CREATE TABLE t (
  a INT,
  CONSTRAINT one UNIQUE (a)
);
