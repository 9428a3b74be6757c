-- dialect: sqlite
CREATE TABLE t (
  a TEXT
);
