package lib;

public class L { public static void m(String x) {}
    public static void m(Integer x) {} }
