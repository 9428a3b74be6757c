-- dialect: sqlite
CREATE TABLE t (
  a INT
);
CREATE TABLE u (a INT);
