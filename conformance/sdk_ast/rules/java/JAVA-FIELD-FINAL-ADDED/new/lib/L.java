package lib;

public class L { public final int f = 1; }
