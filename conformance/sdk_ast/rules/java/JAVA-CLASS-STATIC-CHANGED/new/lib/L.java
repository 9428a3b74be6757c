package lib;

public class L { public class N {} }
