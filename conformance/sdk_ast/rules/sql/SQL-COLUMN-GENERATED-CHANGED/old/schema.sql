-- dialect: sqlite
CREATE TABLE t (
  a INT,
  b INT GENERATED ALWAYS AS (a * 2) STORED
);
