-- dialect: sqlite
CREATE TABLE u (a INT);
CREATE VIEW t AS SELECT a FROM u;
