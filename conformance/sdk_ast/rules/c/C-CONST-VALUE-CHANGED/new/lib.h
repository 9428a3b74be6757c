enum e { A, X, B };
