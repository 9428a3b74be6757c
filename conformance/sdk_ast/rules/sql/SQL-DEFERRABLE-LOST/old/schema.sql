-- dialect: postgres
CREATE TABLE t (
  a INT,
  CONSTRAINT k UNIQUE (a) DEFERRABLE
);
