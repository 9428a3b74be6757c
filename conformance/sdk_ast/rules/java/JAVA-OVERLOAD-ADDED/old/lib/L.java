package lib;

public class L { public static void m(String x) {} }
