-- dialect: postgres
CREATE TYPE mood AS ENUM ('y', 'x');
CREATE TABLE t (
  a mood
);
