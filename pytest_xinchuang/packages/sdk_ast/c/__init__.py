"""APIs in C: headers as a compiler reads them for each target, and the libraries beside them."""
