-- dialect: sqlite
CREATE TABLE t (
  a INT
);
CREATE INDEX i ON t (a);
