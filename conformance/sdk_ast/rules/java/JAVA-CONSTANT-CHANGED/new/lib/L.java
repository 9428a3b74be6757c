package lib;

public class L { public static final int C = 2; }
