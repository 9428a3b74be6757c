enum e { A };
