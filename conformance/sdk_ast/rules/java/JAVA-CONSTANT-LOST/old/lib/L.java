package lib;

public class L { public static final int K = 1; }
