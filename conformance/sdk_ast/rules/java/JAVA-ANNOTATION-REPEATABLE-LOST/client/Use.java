package client;

import lib.*;

public class Use { @L(v = 1) @L(v = 2) int x; }
