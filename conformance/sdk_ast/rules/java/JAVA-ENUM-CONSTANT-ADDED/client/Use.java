package client;

import lib.*;

public class Use { int f(L x) { return switch (x) { case A -> 1; }; } }
