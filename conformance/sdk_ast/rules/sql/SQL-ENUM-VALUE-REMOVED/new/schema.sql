-- dialect: postgres
CREATE TYPE mood AS ENUM ('x');
CREATE TABLE t (
  a mood
);
