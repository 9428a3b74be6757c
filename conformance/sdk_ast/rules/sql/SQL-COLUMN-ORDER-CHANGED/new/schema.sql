-- dialect: sqlite
CREATE TABLE t (
  b TEXT,
  a INT
);
