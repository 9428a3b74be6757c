-- dialect: sqlite
CREATE TABLE t (
  a INT CHECK (a > 1)
);
