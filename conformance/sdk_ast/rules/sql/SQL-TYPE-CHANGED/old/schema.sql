-- dialect: postgres
CREATE TYPE pair AS (a INT, b INT);
CREATE TABLE t (
  p pair
);
