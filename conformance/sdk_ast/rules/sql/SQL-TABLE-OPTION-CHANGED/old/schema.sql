-- dialect: sqlite
CREATE TABLE t (
  a INT PRIMARY KEY NOT NULL
);
