package lib;

public class L implements Comparable<L> { public int compareTo(L x) { return 0; } }
