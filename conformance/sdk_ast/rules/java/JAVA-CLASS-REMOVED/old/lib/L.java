package lib;

public class L { public static class N {} }
