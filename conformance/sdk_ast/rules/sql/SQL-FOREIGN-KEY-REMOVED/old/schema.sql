-- dialect: sqlite
CREATE TABLE o (id INT PRIMARY KEY);
CREATE TABLE t (
  a INT REFERENCES o (id)
);
