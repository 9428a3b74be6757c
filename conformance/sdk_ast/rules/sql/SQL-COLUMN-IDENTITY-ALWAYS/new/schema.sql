-- dialect: postgres
CREATE TABLE t (
  a INT GENERATED ALWAYS AS IDENTITY
);
