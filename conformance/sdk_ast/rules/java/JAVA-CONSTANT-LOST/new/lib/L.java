package lib;

public class L { public static final int K = Integer.parseInt("1"); }
