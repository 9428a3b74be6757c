package lib;

public class L implements Comparable<Object> { public int compareTo(Object x) { return 0; }
    public int compareTo(L x) { return 0; } }
