package client;

import lib.*;

public class Use { L l = new L(); }
