-- dialect: postgres
CREATE TYPE mood AS ENUM ('x', 'y');
CREATE TABLE t (
  a mood
);
