-- dialect: sqlite
CREATE TABLE t (
  a INT
);
CREATE VIEW v AS SELECT a FROM t;
