package client;

import lib.*;

public class Use { L.N n = new L.N(); }
