-- dialect: sqlite
CREATE TABLE u (
  a INT
);
