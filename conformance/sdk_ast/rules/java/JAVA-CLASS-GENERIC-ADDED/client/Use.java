package client;

import lib.*;

public class Use { L x; }
