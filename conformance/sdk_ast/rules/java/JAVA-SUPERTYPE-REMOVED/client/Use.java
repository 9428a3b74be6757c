package client;

import lib.*;

public class Use { Runnable r = new L(); }
