-- dialect: postgres
CREATE TYPE pair AS (a INT);
CREATE TABLE t (
  p pair
);
