-- dialect: sqlite
CREATE TABLE t (
  a VARCHAR(10)
);
