-- dialect: sqlite
CREATE TABLE t (
  a INT,
  b INT NOT NULL DEFAULT 1
);
