-- dialect: sqlite
CREATE TABLE t (
  a INT,
  b INT,
  PRIMARY KEY (a)
);
