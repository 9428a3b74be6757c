package lib;

public class L implements Runnable { public void run() {} }
