-- dialect: sqlite
CREATE TABLE t (
  a INT UNIQUE
);
