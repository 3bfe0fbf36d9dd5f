raise RuntimeError('no such printer')
