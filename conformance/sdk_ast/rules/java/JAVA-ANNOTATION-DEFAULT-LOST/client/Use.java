package client;

import lib.*;

@L
public class Use {}
